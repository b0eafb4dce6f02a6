"""Configs in mmengine's pure Python style, to be inherited with ``read_base``.

They are equal to the text configs of the same names (configs/), which say what is behind the
values. mmengine reads them as text, too: what they import is imported when it is built.
"""
