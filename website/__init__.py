"""The site: what of it is made from the code, how it is built, and what is checked of it (`make docs`)."""
