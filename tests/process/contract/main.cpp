#include "tests/check.hpp"

int main(int, char** argv) {
    return check::run(argv);
}
