// driver.cpp: main() of fuzz_replay: the targets without a fuzzing engine, to replay corpora and
// regressions in every build type.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>
#include <vector>

#include "fuzz/harness.hpp"
#include "fuzz/pack.hpp"

namespace {

namespace fs = std::filesystem;

constexpr const char* kUsage =
    "usage: fuzz_replay TARGET FILE-OR-FOLDER...            runs inputs; the first that fails is "
    "named and shown shrunk\n"
    "       fuzz_replay TARGET --defect NAME FILE-OR-FOLDER...   with a seeded defect: fails if no "
    "input shows it; so with --show\n"
    "       fuzz_replay TARGET --show FILE                  prints an input as text, shrunk if it "
    "fails\n"
    "       fuzz_replay TARGET --encode IN.txt OUT          writes the bytes that mean what the "
    "text says\n"
    "       fuzz_replay --targets                           lists them\n"
    "A file *.txt is a text, *.pack a pack of inputs (fuzz/pack.hpp), any other the bytes of one "
    "input.\n";

struct Input {
    std::string name, bytes;
    bool is_text = false;
};

std::string read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream bytes;
    bytes << in.rdbuf();
    if (!in) throw std::runtime_error("cannot read " + path.string());
    return bytes.str();
}

const std::uint8_t* bytes_of(const std::string& s) {
    return reinterpret_cast<const std::uint8_t*>(s.data());
}

std::vector<Input> inputs(const std::vector<std::string>& paths) {
    std::vector<fs::path> files;
    for (const std::string& path : paths) {
        if (!fs::is_directory(path)) {
            files.emplace_back(path);
            continue;
        }
        for (const auto& entry : fs::directory_iterator(path)) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    std::vector<Input> all;
    for (const fs::path& file : files) {
        if (file.extension() != ".pack") {
            all.push_back({file.string(), read(file), file.extension() == ".txt"});
            continue;
        }
        std::size_t line = 0;
        for (std::string& bytes : fuzz::unpacked(read(file)))
            all.push_back({file.string() + ", line " + std::to_string(++line), std::move(bytes)});
    }
    return all;
}

std::string running;
void on_signal(int signal) {
    std::signal(signal, SIG_DFL);
    static_cast<void>(!::write(STDERR_FILENO, "crashed in ", 11));
    static_cast<void>(!::write(STDERR_FILENO, running.data(), running.size()));
    static_cast<void>(!::write(STDERR_FILENO, "\n", 1));
    std::raise(signal);
}

int replay(const fuzz::Target& target, const std::vector<Input>& all, const char* program,
           bool canary) {
    std::size_t failed = 0;
    for (const Input& input : all) {
        running = input.name;
        const std::string wrong = input.is_text
                                      ? target.one_text(input.bytes)
                                      : target.one(bytes_of(input.bytes), input.bytes.size());
        if (wrong.empty()) continue;
        ++failed;
        if (canary) continue;
        std::fprintf(
            stderr, "%s: %s\n%sreproduce: %s %s %s\n", input.name.c_str(), wrong.c_str(),
            input.is_text ? "" : target.show(bytes_of(input.bytes), input.bytes.size()).c_str(),
            program, target.name, input.name.substr(0, input.name.find(',')).c_str());
        return 1;
    }
    std::printf("%s: %zu inputs, %zu failed%s\n", target.name, all.size(), failed,
                canary ? " (some must)" : "");
    if (all.empty()) std::fprintf(stderr, "%s: no inputs\n", program);
    return all.empty() || (canary && failed == 0) ? 1 : 0;
}

const fuzz::Target* target_named(const std::string& name) {
    for (const fuzz::Target& t : fuzz::targets()) {
        if (t.name == name) return &t;
    }
    return nullptr;
}

int run(const char* program, std::vector<std::string> words) {
    if (words == std::vector<std::string>{"--targets"}) {
        for (const fuzz::Target& t : fuzz::targets()) std::printf("%s\n", t.name);
        return 0;
    }
    const fuzz::Target* const target = words.empty() ? nullptr : target_named(words[0]);
    if (target == nullptr || words.size() < 2) {
        std::fprintf(stderr, "%s%s",
                     words.empty() || target != nullptr
                         ? ""
                         : ("no such target: " + words[0] + "\n").c_str(),
                     kUsage);
        return 2;
    }
    words.erase(words.begin());
    const bool canary = words[0] == "--defect" && words.size() > 2;
    if (canary) {
        if (!fuzz::Defect::seed(words[1]))
            throw std::runtime_error("no such defect in this program: " + words[1]);
        words.erase(words.begin(), words.begin() + 2);
    }
    if (words[0] == "--encode" && words.size() == 3) {
        const std::string bytes = target->bytes_of_text(read(words[1]));
        std::ofstream out(words[2], std::ios::binary);
        if (!(out << bytes << std::flush)) throw std::runtime_error("cannot write " + words[2]);
        return 0;
    }
    if (words[0] == "--show" && words.size() == 2) {
        const std::string input = read(words[1]);
        std::printf("%s", target->show(bytes_of(input), input.size()).c_str());
        return 0;
    }
    return replay(*target, inputs(words), program, canary);
}

}  // namespace

int main(int argc, char** argv) {
    for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL})
        std::signal(signal, on_signal);
    try {
        return run(argv[0], {argv + 1, argv + argc});
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s: %s\n", argv[0], e.what());
        return 2;
    }
}
