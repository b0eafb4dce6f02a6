"""The one exception that the commands turn into a single line."""


class UserError(ValueError):
    """Something the user can mend: the message names the value and the remedy."""
