"""Datasets: files on disk to samples."""
