"""Data sets that come with mmscale; import the module you need, this package loads nothing."""
