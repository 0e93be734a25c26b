"""Which weights are kept: magnitude selection, and what each training method prunes."""
