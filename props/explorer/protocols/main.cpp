// main.cpp: runs the protocols' scenarios; `protocols --help` says how.
#include "props/explorer/driver.hpp"

int main(int argc, char** argv) {
    return explorer::drive(argc, argv);
}
