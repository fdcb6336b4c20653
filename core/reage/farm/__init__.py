"""Jobs for render farms: a bundle that any queue can run, and the doors to the queues."""
