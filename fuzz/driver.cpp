// driver.cpp: main() of a fuzz target without libFuzzer: replays corpora and regressions in every build type.
//
//   x_replay FILE-OR-FOLDER...        runs each input (*.txt as text); the first that fails is named and shown shrunk
//   x_replay --canary FILE-OR-FOLDER...   the other way round: fails if no input does
//   x_replay --encode IN.txt OUT      writes the bytes that mean what the text says
//   x_replay --show FILE              prints the input as text
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include <unistd.h>

#include "fuzz/harness.hpp"

namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream bytes;
    bytes << in.rdbuf();
    if (!in) throw std::runtime_error("cannot read " + path.string());
    return bytes.str();
}

const std::uint8_t* bytes_of(const std::string& s) { return reinterpret_cast<const std::uint8_t*>(s.data()); }

std::vector<fs::path> inputs(int argc, char** argv, int first) {
    std::vector<fs::path> files;
    for (int i = first; i < argc; ++i) {
        if (!fs::is_directory(argv[i])) {
            files.emplace_back(argv[i]);
            continue;
        }
        for (const auto& entry : fs::directory_iterator(argv[i])) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

std::string running;
void on_signal(int signal) {
    std::signal(signal, SIG_DFL);
    static_cast<void>(!::write(STDERR_FILENO, "crashed in ", 11));
    static_cast<void>(!::write(STDERR_FILENO, running.data(), running.size()));
    static_cast<void>(!::write(STDERR_FILENO, "\n", 1));
    std::raise(signal);
}

int replay(const std::vector<fs::path>& files, const char* program, bool canary) {
    std::size_t failed = 0;
    for (const fs::path& file : files) {
        running = file.string();
        const std::string input = read(file);
        const bool is_text = file.extension() == ".txt";
        const std::string wrong = is_text ? fuzz::one_text(input) : fuzz::one(bytes_of(input), input.size());
        if (wrong.empty()) continue;
        ++failed;
        if (canary) continue;
        std::fprintf(stderr, "%s: %s\n%sreproduce: %s %s\n", file.c_str(), wrong.c_str(), is_text ? "" : fuzz::show(bytes_of(input), input.size()).c_str(),
                     program, file.c_str());
        return 1;
    }
    std::printf("%zu inputs, %zu failed%s\n", files.size(), failed, canary ? " (some must)" : "");
    if (files.empty()) std::fprintf(stderr, "%s: no inputs\n", program);
    return files.empty() || (canary && failed == 0) ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
    for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL}) std::signal(signal, on_signal);
    try {
        const std::string option = argc > 1 ? argv[1] : "";
        if (option == "--encode" && argc == 4) {
            std::ofstream(argv[3], std::ios::binary) << fuzz::bytes_of_text(read(argv[2]));
            return 0;
        }
        if (option == "--show" && argc == 3) {
            const std::string input = read(argv[2]);
            std::printf("%s", fuzz::show(bytes_of(input), input.size()).c_str());
            return 0;
        }
        const bool canary = option == "--canary";
        return replay(inputs(argc, argv, canary ? 2 : 1), argv[0], canary);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s: %s\n", argv[0], e.what());
        return 2;
    }
}
