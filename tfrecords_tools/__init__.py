"""What a SoccerNet-v3 ReID thumbnail is on disk: the tree, the file names, the TFRecords."""
