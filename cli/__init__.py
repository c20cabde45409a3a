"""The command line: `babelcast serve | speak | listen | token | doctor | smoke | bench`."""
