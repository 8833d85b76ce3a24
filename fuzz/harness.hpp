// harness.hpp: what every fuzz target has in common. A target registers itself in <name>_fuzz.cpp,
// through the macros of history.hpp or by hand. libFuzzer reaches it through entry.cpp; driver.cpp
// replays files, with many targets in one program.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fuzz {

struct Target {
    const char* name;
    // What is wrong with this input; empty if nothing is.
    std::string (*one)(const std::uint8_t* data, std::size_t size);
    // The input as text for people, shrunk as far as it still fails.
    std::string (*show)(const std::uint8_t* data, std::size_t size);
    // The inverse: bytes that mean what the text says; refuses what no bytes mean.
    std::string (*bytes_of_text)(const std::string& text);
    // Runs a text; it can say what no bytes mean, because not every value has an encoding.
    std::string (*one_text)(const std::string& text);
    // An input like this one, made by a change that its structure suggests, of `most` bytes at
    // most; the same seed makes the same change. Empty where the bytes have no structure.
    std::string (*mutate)(const std::uint8_t* data, std::size_t size, std::size_t most,
                          unsigned seed);
};

// The targets of this program.
inline std::vector<Target>& targets() {
    static std::vector<Target> all;
    return all;
}
struct Registered {
    explicit Registered(const Target& target) { targets().push_back(target); }
};

// A defect that can be seeded in a run, to prove that a target would find it.
class Defect {
  public:
    explicit Defect(const char* name) : name_(name) { all().push_back(this); }
    Defect(const Defect&) = delete;
    Defect& operator=(const Defect&) = delete;
    operator bool() const { return seeded_; }
    const std::string& name() const { return name_; }
    // False if this program has no such defect.
    static bool seed(const std::string& name) {
        bool found = false;
        for (Defect* const d : all()) found |= d->seeded_ = d->name_ == name;
        return found;
    }

  private:
    static std::vector<Defect*>& all() {
        static std::vector<Defect*> defects;
        return defects;
    }
    std::string name_;
    bool seeded_ = false;
};

}  // namespace fuzz
