"""The commands: arguments in, one call into the library, a path or a line out. Nobody imports them."""
