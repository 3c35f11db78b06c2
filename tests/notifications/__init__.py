"""Tests of notifications, against real receivers in processes of their own."""
