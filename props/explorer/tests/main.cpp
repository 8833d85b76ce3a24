// main.cpp: the scenarios of controls.cpp, more_controls.cpp and shapes.cpp from the command line.
#include "props/explorer/driver.hpp"

int main(int argc, char** argv) {
    return explorer::drive(argc, argv);
}
