//! End-to-end rows live in `tests/rows`: each proves one requirement through the stock docker client and through ours.
