// portfolio_scenarios.cpp: five threads at once, too many for every schedule: a random search of
// each kind, with seeds that stay. The driver prints the probability, after Good and Turing, that
// one more execution is a behaviour that was not seen yet.
#include "props/explorer/protocols/client.hpp"

namespace protocols {
namespace {

using explorer::Mode;
using explorer::Scenario;

// A thread ends while its blocks come back, a visitor and a newcomer want what it has, and a third
// one trims.
void generations(Scenario& s) {
    Case c(s);
    void* blocks[4];
    c.before(1, [] {
        for (int i = 0; i < 2; ++i) take();
    });
    c.before(0, [&] {
        for (void*& p : blocks) p = take();
        give(blocks[2]);
        give(blocks[0]);
    });
    c.thread("owner", [] {
        give(take());
        leave();
    });
    c.thread("visitor", [] {
        take();
        give(take());
    });
    c.thread("freer", [&] { give(blocks[1]); });
    c.thread("newcomer", [&] {
        take();
        give(blocks[3]);
        leave();
    });
    c.thread("trimmer", [] { trim(); });
    c.ends_with(4);
}

// The same while one of them forks.
void fork_among(Scenario& s) {
    Case c(s);
    void* blocks[4];
    c.before(0, [&] {
        for (void*& p : blocks) p = take();
        give(blocks[0]);
    });
    c.before(kGone, [] {
        take();
        leave();
    });
    c.thread("forker", [] {
        fork_then([] {
            give(take());
            trim();
        });
    });
    c.thread("newcomer", [&] {
        take();
        give(blocks[1]);
        leave();
    });
    c.thread("freer", [&] { give(blocks[2]); });
    c.thread("trimmer", [] { trim(); });
    c.thread("newcomer", [&] { give(blocks[3]); });
    c.ends_with(2);
}

// NAME.any has every heuristic open. It seldom shows a behaviour twice.
struct Portfolio {
    Portfolio(const std::string& name, void (*body)(Scenario&)) {
        add(name + ".uniform", 0, body, Mode::uniform);
        add(name + ".pct", 0, body, Mode::pct);
        add(name + ".pos", 0, body, Mode::pos);
        add(name + ".any", ~0u, body, Mode::pos);
    }

  private:
    static void add(const std::string& name, unsigned open, void (*body)(Scenario&), Mode mode) {
        explorer::Options options;
        options.mode = mode;
        options.seed = 20251122;
        options.max_executions = 20'000;
        options.max_seconds = 0;
        options.step_bound = 20'000;
        Explored::add(name, open, body, options);
    }
};
const Portfolio kGenerations("portfolio.generations", generations);
const Portfolio kForkAmong("portfolio.fork_among", fork_among);

}  // namespace
}  // namespace protocols
