"""What the ``pi-datasource`` command is made of."""
