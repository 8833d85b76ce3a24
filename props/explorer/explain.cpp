// explain.cpp: what follows a failure: the shortest witness, under which orders it breaks, its
// trace.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ostream>

#include "props/explorer/engine.hpp"
#include "props/explorer/reduced.hpp"

namespace explorer {

// The words that were learned to be shared since the search began, then the digits.
std::string Engine::witness_of(const Digits& digits) const {
    std::string text;
    for (const std::uint32_t flat : footprints_.late()) {
        char word[16];
        std::snprintf(word, sizeof word, "%s%x", text.empty() ? "" : ".", flat);
        text += word;
    }
    const std::string rest = to_text(digits);
    if (!text.empty()) return text + "-" + rest;
    return rest.empty() ? "0" : rest;
}

void Engine::explain() {
    const Kind kind = result_.kind;
    const std::string message = result_.message;
    counts_ = false;
    shrink();
    triage();
    replay(result_.witness);
    counts_ = true;
    if (result_.kind != kind) {
        result_.message = "the witness does not reproduce (" + std::string(name_of(result_.kind)) +
                          "): is there state that is not reset? It was " + name_of(kind) + ": " +
                          message;
        result_.kind = Kind::replay;
    }
}

// The fewest deviations that break the same thing.
void Engine::shrink() {
    const double deadline = now() + options_.shrink_seconds;
    const auto deviations = [](const Digits& digits) {
        unsigned n = 0;
        for (const std::uint8_t digit : digits) n += digit != 0 ? 1 : 0;
        return n;
    };
    const unsigned found = deviations(digits_);
    for (unsigned bound = 0; bound < found; ++bound) {
        Canonical canonical(bound);
        for (bool more = true; more;) {
            const double left = deadline - now();
            if (left <= 0) return;
            search(canonical, {left, 0});
            if (outcome_ == Outcome::failed && failure_ == result_.kind) {
                result_.witness = witness_of(digits_);
                result_.message = failure_text_;
                return;
            }
            // Another failure on the way: go on behind it.
            more = outcome_ == Outcome::failed && canonical.next();
        }
    }
}

void Engine::triage() {
    if (options_.orders != Orders::declared) return;
    const auto under = [&](Orders orders) -> std::string {
        options_.orders = orders;
        Reduced reduced(options_);
        const bool all = search(reduced, {2, 200'000});
        if (outcome_ == Outcome::failed) return std::string("breaks (") + name_of(failure_) + ")";
        return all ? "holds" : "not found within the budget";
    };
    result_.triage = "declared orders: breaks; x86: " + under(Orders::x86);
    result_.triage += "; sequentially consistent: " + under(Orders::sc);
    options_.orders = Orders::declared;
}

void Engine::replay(const std::string& witness) {
    const std::size_t dash = witness.find('-');
    std::vector<std::uint32_t> shared;
    Digits digits;
    bool readable =
        parse_digits(dash == std::string::npos ? witness : witness.substr(dash + 1), digits);
    for (std::size_t at = 0; dash != std::string::npos && at < dash;) {
        const std::size_t end = std::min(witness.find('.', at), dash);
        const unsigned long flat = std::strtoul(witness.substr(at, end - at).c_str(), nullptr, 16);
        readable = readable && flat < Memory::kFlatBytes;
        if (readable) shared.push_back(static_cast<std::uint32_t>(flat));
        at = end + 1;
    }
    if (!readable) {
        result_.kind = Kind::replay;
        result_.message = "the witness cannot be read";
        return;
    }
    footprints_.recall(shared);
    Canonical canonical(digits);
    tracing_ = true;
    search(canonical, {0, 1});
    complete_trace();
    tracing_ = false;
    result_.kind = failure_;
    result_.message = failure_ == Kind::none ? "" : failure_text_;
    result_.witness = witness;
    result_.trace_hash = trace_.hash();
    if (failure_ != Kind::none || options_.trace) result_.trace = trace_.render(thread_names());
}

std::vector<std::string> Engine::thread_names() const {
    std::vector<std::string> names;
    for (unsigned i = 0; i < thread_count_; ++i) names.push_back(threads_[i].name);
    return names;
}

const char* name_of(Kind kind) {
    constexpr const char* kNames[] = {"none",     "data_race",  "lifetime", "check",
                                      "liveness", "step_bound", "crash",    "unregistered",
                                      "limit",    "budget",     "replay"};
    return kNames[static_cast<unsigned>(kind)];
}

std::ostream& operator<<(std::ostream& out, const Result& r) {
    out << (r.ok() ? "ok" : name_of(r.kind)) << ": " << r.executions << " executions, " << r.graphs
        << " graphs, " << r.sleep_blocked << " covered, " << r.spin_blocked << " waiting, "
        << r.steps << " steps, " << r.seconds << " s" << (r.exhaustive ? ", exhaustive" : "");
    if (r.ok()) return out;
    out << "\n  " << r.message << "\n  witness " << (r.witness.empty() ? "0" : r.witness) << "\n";
    if (!r.triage.empty()) out << "  " << r.triage << "\n";
    return out << r.trace;
}

}  // namespace explorer
