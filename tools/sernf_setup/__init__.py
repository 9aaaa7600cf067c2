"""Set-up of SERNF on a machine that has nothing but Python, a C++ compiler and git; standard library only."""
