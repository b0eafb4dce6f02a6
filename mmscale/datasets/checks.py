"""Labels are numbers: what they mean is compared."""

from collections.abc import Sequence

from mmscale.errors import UserError


def check_labels(named: str, known: Sequence[str] | None, wanted: Sequence[str] | None) -> None:
    """Labels are numbers: those of other classes would be scored as the data set's.

    Args:
        named (str): The checkpoint or exported file, for the message.
        known, wanted (Sequence[str]): Its classes and the data set's; nothing is compared if either
            does not say.

    Raises:
        UserError: If they differ.
    """
    known, wanted = list(known or ()), list(wanted or ())
    if known and wanted and known != wanted:
        differ = next((pair for pair in zip(known, wanted) if pair[0] != pair[1]), 'their number')
        raise UserError(
            f'{named} knows {len(known)} classes ({", ".join(known[:3])}, ...), the data set has '
            f'{len(wanted)} ({", ".join(wanted[:3])}, ...), and they begin to differ at {differ}: '
            'give the config and data that it was made with'
        )
