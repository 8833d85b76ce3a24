// suite.hpp: main() of a property suite. RC_PARAMS works as RapidCheck documents it; without it the seed is fixed, so that a run of
// the tests is the same run every time, and other seeds are asked for by name. A property that fails prints its shrunk history, writes
// it to a file, and says the line that runs it again.
//
//   props_x [--seed N] [--cases N] [--replay FILE]
#pragma once

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include <rapidcheck.h>
#include <unistd.h>

#include "props/kit/generators.hpp"

namespace kit {

// What runs at the moment, for the case that it crashes: RapidCheck shrinks exceptions, not signals.
class FlightRecorder {
public:
    static void note(std::string text) { running() = std::move(text); }
    static void print_at_crashes() {
        for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL}) std::signal(signal, on_signal);
    }

private:
    static std::string& running() {
        static std::string text;
        return text;
    }
    static void on_signal(int signal) {
        std::signal(signal, SIG_DFL);
        const std::string& text = running();
        static_cast<void>(!::write(STDERR_FILENO, "crashed in this history:\n", 25));
        static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size()));
        std::raise(signal);
    }
};

class Suite {
public:
    Suite(int argc, char** argv, unsigned cases) : program_(argv[0]) {
        std::string seed = "2025112200", count = std::to_string(cases);
        for (int i = 1; i < argc; ++i) {
            const std::string option = argv[i];
            if (i + 1 == argc) usage(option);
            const std::string value = argv[++i];
            if (option == "--seed") {
                seed = value;
            } else if (option == "--cases") {
                count = value;
            } else if (option == "--replay") {
                replay_ = value;
            } else {
                usage(option);
            }
        }
        const char* const given = std::getenv("RC_PARAMS");
        std::string parameters = given == nullptr ? "" : given;
        if (parameters.find("seed=") == std::string::npos) parameters += " seed=" + seed;
        if (parameters.find("max_success=") == std::string::npos) parameters += " max_success=" + count;
        ::setenv("RC_PARAMS", parameters.c_str(), 1);
        parameters_ = parameters;
        is_full_ = parameters.find("max_success=" + std::to_string(cases)) != std::string::npos;
        FlightRecorder::print_at_crashes();
    }

    // A property over histories of one language: `run` returns what was wrong, or nothing. With --replay it runs the file instead.
    template <class Language>
    void histories(const std::string& name, rc::Gen<std::vector<Language>> generator, std::function<std::string(const std::vector<Language>&)> run) {
        if (!replay_.empty()) return replay<Language>(name, run);
        std::size_t smallest = SIZE_MAX;
        const std::string file = name + ".failed";
        const bool good = rc::check(name, [&] {
            const std::vector<Language> commands = *generator;
            FlightRecorder::note(text_of(commands));
            const std::string wrong = run(commands);
            if (wrong.empty()) return;
            if (commands.size() <= smallest) {
                smallest = commands.size();
                std::ofstream(file) << "# " << name << ": " << wrong << "\n" << text_of(commands);
            }
            RC_FAIL(wrong);
        });
        if (!good) say_failed(name, program_ + " --replay " + file);
    }
    // Any other property.
    template <class Testable>
    void property(const std::string& name, Testable testable) {
        if (replay_.empty() && !rc::check(name, testable)) say_failed(name, "RC_PARAMS='" + parameters_ + "' " + program_);
    }
    // A check without random input; `run` throws Broken or returns.
    void example(const std::string& name, const std::function<void()>& run) {
        if (!replay_.empty()) return;
        try {
            FlightRecorder::note(name + "\n");
            run();
            std::cerr << "OK: " << name << "\n";
        } catch (const Broken& e) {
            std::cerr << name << ": " << e.what() << "\n";
            say_failed(name, program_);
        }
    }
    bool is_replay() const { return !replay_.empty(); }
    // The run has the cases for which the census of states was made; a shorter one may miss rare changes.
    bool is_full() const { return is_full_; }
    int finish() const {
        if (failed_ != 0) std::cerr << failed_ << " of the suite's properties failed\n";
        return failed_ == 0 ? 0 : 1;
    }

private:
    [[noreturn]] void usage(const std::string& option) const {
        std::cerr << program_ << ": " << option << "? Use --seed N, --cases N or --replay FILE.\n";
        std::exit(2);
    }
    void say_failed(const std::string& name, const std::string& line) {
        ++failed_;
        std::cerr << "FAILED: " << name << " with RC_PARAMS='" << parameters_ << "'\nreproduce: " << line << "\n";
    }
    template <class Language, class Run>
    void replay(const std::string& name, Run run) {
        std::ifstream in(replay_);
        std::stringstream text;
        text << in.rdbuf();
        if (!in) {
            std::cerr << "cannot read " << replay_ << "\n";
            std::exit(2);
        }
        try {
            const std::vector<Language> commands = parse<Language>(text.str());
            FlightRecorder::note(text.str());
            const std::string wrong = run(commands);
            std::cerr << name << ": " << (wrong.empty() ? "OK" : wrong) << "\n";
            failed_ += !wrong.empty();
        } catch (const Broken& e) {
            std::cerr << name << ": " << e.what() << "\n";
            ++failed_;
        }
    }

    std::string program_, replay_, parameters_;
    unsigned failed_ = 0;
    bool is_full_ = true;
};

// Proof that a suite can see: in a world with a seeded defect, some history of the same distribution must fail, and shrink.
template <class Language>
void require_caught(const char* defect, const rc::Gen<std::vector<Language>>& generator, unsigned cases, std::size_t shrunk_most,
                    const std::function<std::string(const std::vector<Language>&)>& run) {
    for (unsigned i = 0; i < cases; ++i) {
        const std::vector<Language> commands = generator(rc::Random(i), 100).value();
        FlightRecorder::note(text_of(commands));
        if (run(commands).empty()) continue;
        const auto small = minimize(commands, [&](const std::vector<Language>& fewer) { return !run(fewer).empty(); });
        std::cerr << defect << ": seen in case " << i + 1 << ", shrunk from " << commands.size() << " commands to " << small.size() << ": " << run(small) << "\n";
        require(small.size() <= shrunk_most, defect, ": ", small.size(), " commands are left after shrinking:\n", text_of(small));
        return;
    }
    broken(defect, ": not seen in ", cases, " histories");
}

}  // namespace kit
