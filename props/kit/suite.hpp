// suite.hpp: main() of a property suite. RC_PARAMS works as RapidCheck documents it; without it the
// seed is fixed, so that a run of the tests is the same run every time, and other seeds are asked
// for by name. A property that fails prints its shrunk history, writes it to a file, and says the
// line that runs it again.
//
//   props_x [--only NAME]... [--seed N] [--cases N] [--limit MS] [--replay FILE] | --list | --help
//
// The properties run in a process of their own. When that dies, or when one history takes more than
// MS of processor time, its parent shrinks the history that ran, each candidate in one more
// process, and reports it as any other failure. A replay stays in one process, for debuggers.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <rapidcheck.h>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

#include "props/kit/generators.hpp"
#include "props/kit/isolate.hpp"

namespace kit {

class Suite {
  public:
    // `words` are what the program wants before the options, if it has several suites.
    Suite(int argc, char** argv, unsigned cases, const std::string& words = "") {
        char path[4096] = {};
        program_ = ::readlink("/proc/self/exe", path, sizeof path - 1) > 0 ? path : argv[0];
        if (!words.empty()) program_ += " " + words;
        std::string seed = kSeed, count = std::to_string(cases);
        for (int i = 1; i < argc; ++i) {
            const std::string option = argv[i];
            if (option == "--help") {
                std::cout << text_of_usage();
                std::exit(0);
            }
            if (option == "--list") {
                is_list_ = true;
                continue;
            }
            if (i + 1 == argc) usage(option);
            const std::string value = argv[++i];
            if (option == "--only") {
                only_.push_back({value});
            } else if (option == "--seed") {
                seed = number(option, value);
            } else if (option == "--cases") {
                count = number(option, value);
            } else if (option == "--limit") {
                limit_ms_ = static_cast<unsigned>(std::strtoul(value.c_str(), nullptr, 10));
            } else if (option == "--replay") {
                read_replay(value);
            } else {
                usage(option);
            }
        }
        const char* const given = std::getenv("RC_PARAMS");
        std::string parameters = given == nullptr ? "" : given;
        if (parameters.find("seed=") == std::string::npos) parameters += " seed=" + seed;
        if (parameters.find("max_success=") == std::string::npos)
            parameters += " max_success=" + count;
        ::setenv("RC_PARAMS", parameters.c_str(), 1);
        // RC_PARAMS itself, where the environment gave it
        options_ = given == nullptr ? " --seed " + seed + " --cases " + count : "";
        if (given != nullptr) program_ = "RC_PARAMS='" + std::string(given) + "' " + program_;
        is_full_ = only_.empty() && parameters == " seed=" + std::string(kSeed) +
                                                      " max_success=" + std::to_string(cases);
        if (replay_.empty() && !is_list_) watch();
    }

    // A property over histories of one language: `run` returns what was wrong, or nothing. With
    // --replay it runs the file instead, if that is the property's own or says no name.
    template <class Language>
    void histories(const std::string& name, rc::Gen<std::vector<Language>> generator,
                   std::function<std::string(const std::vector<Language>&)> run) {
        if (!is_wanted(name)) return;
        if (!replay_.empty()) return replay<Language>(name, run);
        if (!death_.empty()) return shrink_death<Language>(name, run);
        std::remove(failed_file(name).c_str());  // of an earlier run
        std::size_t smallest = SIZE_MAX;
        bool is_written = false;
        const bool good = rc::check(name, [&] {
            const std::vector<Language> commands = *generator;
            FlightRecorder::note(name, text_of(commands), limit_ms_);
            const std::string wrong = run(commands);
            if (wrong.empty()) return;
            if (commands.size() <= smallest) {
                smallest = commands.size();
                is_written = write_failed(name, wrong, text_of(commands));
            }
            RC_FAIL(wrong);
        });
        if (!good) say_failed(name, is_written ? failed_file(name) : "");
    }
    // Any other property.
    template <class Testable>
    void property(const std::string& name, Testable testable) {
        if (is_whole_run(name) && !rc::check(name, testable)) say_failed(name);
    }
    // A check without random input; `run` throws Broken or returns.
    void example(const std::string& name, const std::function<void()>& run) {
        if (!is_whole_run(name)) return;
        try {
            run();
            std::cerr << "OK: " << name << "\n";
        } catch (const Broken& e) {
            std::cerr << name << ": " << e.what() << "\n";
            say_failed(name);
        }
    }
    // The run has the seed and the cases for which the state coverage of states was made; another
    // may miss rare changes.
    bool is_full() const { return is_full_; }
    int finish() {
        if (!replay_.empty() && !is_replayed_) {
            std::cerr << program_ << ": no property of this suite is called " << replay_name_
                      << "\n";
            ++failed_;
        }
        if (!death_.empty() && failed_ == 0) say_failed(FlightRecorder::name());
        for (const Only& only : only_) {
            if (only.is_met) continue;
            std::cerr << program_ << ": nothing in this suite is called " << only.name
                      << "; --list names what is\n";
            failed_ = 0, is_usage_ = true;
        }
        if (failed_ != 0)
            std::cerr << failed_ << " of the suite's properties failed\nreproduce: " << program_
                      << failed_names_ << options_ << "\n";
        FlightRecorder::finish();
        return is_usage_ ? 2 : failed_ == 0 ? 0 : 1;
    }

  private:
    struct Only {
        std::string name;
        bool is_met = false;
    };

    static constexpr const char* kSeed = "2025112200";
    // of processor time, while shrinking; a history takes a few
    static constexpr unsigned kCandidateMs = 1000;

    // The caller goes on in a child. Its parent leaves with it, or, if the child died before it was
    // done, goes on to shrink why.
    void watch() {
        FlightRecorder::note("start", "", 0);
        std::cout.flush();
        const pid_t child = ::fork();
        require(child >= 0, "no process");
        if (child == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            StackRecorder::record(FlightRecorder::stack());
            return;
        }
        int status = 0;
        require(::waitpid(child, &status, 0) == child, "a process is lost");
        if (WIFEXITED(status) && FlightRecorder::is_finished()) std::_Exit(WEXITSTATUS(status));
        death_ = text_of_death(status);
        std::cerr << death_ << " in " << FlightRecorder::name() << "\n";
        StackRecorder::print(FlightRecorder::stack(), std::cerr);
    }
    template <class Language, class Run>
    void shrink_death(const std::string& name, Run run) {
        if (name != FlightRecorder::name()) return;
        const auto wrong_in = [&](const std::vector<Language>& commands) {
            return isolated(std::min(kCandidateMs, limit_ms_), [&] { return run(commands); });
        };
        std::vector<Language> commands = parse<Language>(FlightRecorder::text());
        write_failed(name, death_, text_of(commands));  // for who does not wait for the rest
        const bool alone = !wrong_in(commands).empty();
        if (!alone)
            std::cerr
                << "the history does no harm alone; those before it must have left something\n";
        if (alone)
            commands = minimize(std::move(commands), [&](const std::vector<Language>& fewer) {
                return !wrong_in(fewer).empty();
            });
        const std::string text = text_of(commands), wrong = alone ? wrong_in(commands) : death_;
        std::cerr << wrong << " in this history of " << commands.size() << " commands:\n" << text;
        const bool is_written = write_failed(name, wrong, text);
        say_failed(name, alone && is_written ? failed_file(name) : "");
    }
    // Whether an example or a property runs. If it is what died, that is all there is to say.
    bool is_whole_run(const std::string& name) {
        if (!is_wanted(name)) return false;
        if (death_.empty() && replay_.empty()) FlightRecorder::note(name, "", 0);
        if (!death_.empty() && name == FlightRecorder::name()) say_failed(name);
        return death_.empty() && replay_.empty();
    }
    static std::string failed_file(const std::string& name) {
        return std::filesystem::absolute(name + ".failed").string();
    }
    // Whether the history is in the file now.
    static bool write_failed(const std::string& name, const std::string& wrong,
                             const std::string& text) {
        std::ofstream file(failed_file(name));
        file << "# " << name << ": " << wrong.substr(0, wrong.find('\n')) << "\n" << text;
        file.flush();
        return file.good();
    }
    std::string text_of_usage() const {
        return "usage: " + program_ +
               " [--only NAME]... [--seed N] [--cases N] [--limit MS] [--replay FILE]\n       " +
               program_ +
               " --list | --help\n"
               "  --only NAME    checks this one alone; may be given again\n"
               "  --seed N       draws other histories\n"
               "  --cases N      so many for each property\n"
               "  --limit MS     of processor time for one history\n"
               "  --replay FILE  runs the history in it, in this process\n";
    }
    [[noreturn]] void usage(const std::string& option) const {
        std::cerr << program_ << ": " << option << "?\n" << text_of_usage();
        std::exit(2);
    }
    std::string number(const std::string& option, const std::string& value) const {
        if (value.empty() || value.find_first_not_of("0123456789") != std::string::npos)
            usage(option + " " + value);
        return value;
    }
    // Whether --only leaves it; --list prints it instead.
    bool is_wanted(const std::string& name) {
        if (is_list_) std::cout << name << "\n";
        bool wanted = only_.empty();
        for (Only& only : only_) {
            if (only.name == name) wanted = only.is_met = true;
        }
        return wanted && !is_list_;
    }
    void say_failed(const std::string& name, const std::string& file = "") {
        ++failed_;
        failed_names_ += " --only '" + name + "'";
        std::cerr << "FAILED: " << name << "\n";
        if (!file.empty())
            std::cerr << "this history alone: " << program_ << " --replay '" << file << "'\n";
    }
    void read_replay(const std::string& file) {
        std::ifstream in(file);
        std::stringstream text;
        text << in.rdbuf();
        replay_ = text.str();
        if (!in || replay_.empty()) {
            std::cerr << "cannot read " << file << "\n";
            std::exit(2);
        }
        if (replay_.starts_with("# "))
            replay_name_ = replay_.substr(2, replay_.find_first_of(":\n") - 2);
    }
    template <class Language, class Run>
    void replay(const std::string& name, Run run) {
        if (is_replayed_ || (!replay_name_.empty() && replay_name_ != name)) return;
        is_replayed_ = true;
        try {
            const std::vector<Language> commands = parse<Language>(replay_);
            limit_processor_time(limit_ms_);
            const std::string wrong = run(commands);
            std::cerr << name << ": " << (wrong.empty() ? "OK" : wrong) << "\n";
            failed_ += !wrong.empty();
        } catch (const Broken& e) {
            std::cerr << name << ": " << e.what() << "\n";
            ++failed_;
        }
    }

    std::string program_, replay_, replay_name_, options_, death_, failed_names_;
    std::vector<Only> only_;
    unsigned failed_ = 0, limit_ms_ = 20000;
    bool is_full_ = true, is_replayed_ = false, is_list_ = false, is_usage_ = false;
};

// Proof that a suite can see: in a world with a seeded defect, some history of the same
// distribution must fail, and shrink.
template <class Language>
void require_caught(const char* defect, const rc::Gen<std::vector<Language>>& generator,
                    unsigned cases, std::size_t shrunk_most,
                    const std::function<std::string(const std::vector<Language>&)>& run) {
    for (unsigned i = 0; i < cases; ++i) {
        const std::vector<Language> commands = generator(rc::Random(i), 100).value();
        if (run(commands).empty()) continue;
        const auto small = minimize(
            commands, [&](const std::vector<Language>& fewer) { return !run(fewer).empty(); });
        std::cerr << defect << ": seen in case " << i + 1 << ", shrunk from " << commands.size()
                  << " commands to " << small.size() << ": " << run(small) << "\n";
        require(small.size() <= shrunk_most, defect, ": ", small.size(),
                " commands are left after shrinking:\n", text_of(small));
        return;
    }
    broken(defect, ": not seen in ", cases, " histories");
}

}  // namespace kit
