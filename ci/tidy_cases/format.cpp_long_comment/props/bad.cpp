// a comment that goes on and on, which clang-format leaves as it is, so that lines are measured here
int main() { return 0; }
