"""Tests of `octoplex.secrets`."""
