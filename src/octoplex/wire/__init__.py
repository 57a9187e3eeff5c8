"""The words every other room speaks: asks, answers, events, replies, errors."""
