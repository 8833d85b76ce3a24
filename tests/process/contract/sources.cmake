# The tests that any malloc library has to pass, each with its clause: those of the C functions, and
# those of calls that only a process's own malloc has.
set(CONTRACT_C main.cpp basics.cpp limits.cpp contents.cpp)
set(CONTRACT_PROCESS process_calls.cpp operators.cpp)
