"""Words of messages."""


def counted(number: int, one: str, many: str = '') -> str:
    """A number with its word.

    Example:
        >>> counted(1, 'picture'), counted(2000, 'box', 'boxes')
        ('1 picture', '2,000 boxes')
    """
    return f'{number:,} {one if number == 1 else many or one + "s"}'
