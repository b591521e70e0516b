"""SkinCheck's reader: arrays and files in, readings out. Knows no Django."""
