// canary_props.cpp: proof that the suites can see: worlds with a seeded defect, in which histories
// of the same distribution must fail, and shrink to a few commands. Where the defect kills the
// process, this program runs itself as a suite that it kills, and reads the report.
#include <array>
#include <string_view>

#include "props/kit/machine.hpp"
#include "props/kit/pool_machine.hpp"
#include "props/kit/suite.hpp"

namespace {

template <kit::Defect kDefect>
std::string heap(const kit::Commands& commands) {
    return kit::run_history<kit::WorldOf<kDefect>>(commands);
}
template <kit::Defect kDefect>
std::string pool(const kit::PoolCommands& commands) {
    return kit::run_pool_history<kit::WorldOf<kDefect>>(commands);
}

// volatile: compilers know that a constant is no object's address
volatile hak::Address nowhere = 16;

struct Deadly {
    const char *name, *report, *function;  // the last one stands in the stack
    void (*die)();
};
[[gnu::noinline]] void die_of_segfault() {
    *hak::pointer_to<volatile int>(nowhere) = 1;
}
[[gnu::noinline]] void die_of_abort() {
    std::abort();
}
[[gnu::noinline]] void never_end() {
    for (volatile bool again = true; again;) {
    }
}
constexpr std::array kDeadly = {
    Deadly{"props_canary.segfault", "Segmentation fault", "die_of_segfault", die_of_segfault},
    Deadly{"props_canary.abort", "Aborted", "die_of_abort", die_of_abort},
    Deadly{"props_canary.endless", "it does not end", "never_end", never_end},
};

// The suite that --die asks for, or that a replay names.
int run_deadly(std::string_view wanted, int argc, char** argv) {
    kit::Suite suite(argc, argv, 50, wanted.empty() ? "" : "--die " + std::string(wanted));
    for (const Deadly& deadly : kDeadly) {
        if (!wanted.empty() && wanted != deadly.name) continue;
        suite.histories<kit::Command>(deadly.name, kit::history_generator<kit::Command>(400),
                                      [die = deadly.die](const kit::Commands& commands) {
                                          kit::die = die;
                                          return heap<kit::Defect::deadly>(commands);
                                      });
    }
    return suite.finish();
}

struct Ended {
    int status;
    std::string text;
};
Ended shell(const std::string& line) {
    std::FILE* const pipe = ::popen(("env -u RC_PARAMS " + line + " 2>&1").c_str(), "r");
    kit::require(pipe != nullptr, "no shell");
    std::string text;
    for (int c; (c = std::fgetc(pipe)) != EOF;) text += static_cast<char>(c);
    return {::pclose(pipe), text};
}

const std::string kAlone = "this history alone: ", kAgain = "reproduce: ";

// The process that dies is a failed property: shrunk, printed, written to a file, and a line that
// kills it again.
void require_survived(const std::string& program, const Deadly& deadly) {
    const std::string name = std::string(deadly.name) + ".failed";
    std::ofstream(name) << "# " << deadly.name << ": of an earlier run\n";
    const Ended well = shell("RC_PARAMS=max_success=0 " + program + " --die " + deadly.name);
    kit::require(well.status == 0 && !std::ifstream(name), deadly.name,
                 ": a file of an earlier run is left:\n", well.text);
    const Ended first = shell(program + " --die " + deadly.name + " --limit 200");
    kit::require(WIFEXITED(first.status) && WEXITSTATUS(first.status) == 1, deadly.name,
                 ": not a failed suite but status ", first.status, ":\n", first.text);
    for (const std::string& part :
         {std::string(deadly.report), "FAILED: " + std::string(deadly.name), kAlone, kAgain}) {
        kit::require(first.text.find(part) != std::string::npos, deadly.name,
                     ": the report does not say ", part, ":\n", first.text);
    }
    std::ifstream file(name);
    std::stringstream text;
    text << file.rdbuf();
    const std::size_t left = kit::parse<kit::Command>(text.str()).size();
    kit::require(left != 0 && left <= 4, deadly.name, ": ", left,
                 " commands are left after shrinking:\n", text.str());
    for (const std::string& said : {kAlone, kAgain}) {
        const std::size_t line = first.text.find(said) + said.size();
        const std::string command = first.text.substr(line, first.text.find('\n', line) - line);
        kit::require(command.starts_with("/"), "not from any folder: ", command);
        const Ended again = shell(command + " --limit 200");
        kit::require(again.status != 0 && WEXITSTATUS(again.status) != 2 &&
                         again.text.find("OK") == std::string::npos,
                     deadly.name, ": ", command, " ends well:\n", again.text);
    }
    std::cerr << deadly.name << ": survived, shrunk to " << left << " commands\n";
    std::remove(name.c_str());
}

}  // namespace

int main(int argc, char** argv) {
    using kit::Defect;
    const std::string_view option = argc > 2 ? argv[1] : "";
    if (option == "--die") {
        const std::string_view name = argv[2];
        argv[2] = argv[0];
        return run_deadly(name, argc - 2, argv + 2);
    }
    if (option == "--replay") return run_deadly("", argc, argv);

    kit::Suite suite(argc, argv, 1);
    const auto any = kit::history_generator<kit::Command>(400);
    const auto ranges = kit::history_generator<kit::PoolCommand>(300);
    suite.example("a remote block is lost", [&] {
        kit::require_caught<kit::Command>("a remote block is lost", any, 100, 12,
                                          heap<Defect::lost_remote_block>);
    });
    suite.example("a pending slab is lost", [&] {
        kit::require_caught<kit::Command>("a pending slab is lost", any, 100, 12,
                                          heap<Defect::lost_pending>);
    });
    suite.example("a purge lies", [&] {
        kit::require_caught<kit::Command>("a purge lies, the heap", any, 100, 12,
                                          heap<Defect::lying_purge>);
        kit::require_caught<kit::PoolCommand>("a purge lies, the pool", ranges, 100, 12,
                                              pool<Defect::lying_purge>);
    });
    suite.example("the process dies", [&] {
        for (const Deadly& deadly : kDeadly) require_survived(argv[0], deadly);
    });
    suite.example("--only, --list and --help", [&] {
        const std::string program = argv[0];
        const Ended list = shell(program + " --list");
        kit::require(
            list.status == 0 && list.text ==
                                    "a remote block is lost\na pending slab is lost\na purge lies\n"
                                    "the process dies\n--only, --list and --help\n",
            "--list says ", list.text);
        const Ended help = shell(program + " --help");
        kit::require(help.status == 0 && help.text.find("--seed N") != std::string::npos,
                     "--help says ", help.text);
        const Ended one = shell(program + " --only 'a pending slab is lost' --seed 5");
        kit::require(one.status == 0 &&
                         one.text.find("OK: a pending slab is lost") != std::string::npos &&
                         one.text.find("a remote block") == std::string::npos,
                     "--only runs ", one.text);
        for (const char* const wrong : {"--only nobody", "--seed x", "--only", "--no 1"}) {
            const Ended ended = shell(program + " " + wrong);
            kit::require(WIFEXITED(ended.status) && WEXITSTATUS(ended.status) == 2, wrong,
                         " ends with status ", ended.status);
        }
    });
    return suite.finish();
}
