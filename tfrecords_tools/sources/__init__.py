"""Where images with labels come from: one file a source, and the table of them. May import all of `tfrecords_tools`
but what imports TensorFlow: a folder is looked through before that loads."""
