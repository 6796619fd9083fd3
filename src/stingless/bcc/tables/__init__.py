"""Tables: bcc's view of maps, with ctypes-flavoured keys and leaves (`.value`, struct fields).

`make.make_table()` makes them; `stingless.bcc.table` has the classes under bcc's names.
"""
