"""The language of import maps: how a map is written, and how rows are read by one."""
