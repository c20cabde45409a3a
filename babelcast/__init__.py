"""What every part of Babelcast shares; imports no service."""
