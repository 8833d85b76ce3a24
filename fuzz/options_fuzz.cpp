// options_fuzz.cpp: bytes are a value of HAKMEM_OPTIONS. Whatever they are, the parser stays inside them, what it sets lies in the
// option's range, it complains or stays silent, and what it prints for a setting it reads back as the same setting.
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "api/options.hpp"
#include "fuzz/text.hpp"

namespace {

// The parser reports to stderr, which is libFuzzer's as well.
class Silence {
public:
    Silence() : saved_(::dup(STDERR_FILENO)), null_(::open("/dev/null", O_WRONLY)) { ::dup2(null_, STDERR_FILENO); }
    ~Silence() {
        ::dup2(saved_, STDERR_FILENO);
        ::close(saved_);
        ::close(null_);
    }
    Silence(const Silence&) = delete;
    Silence& operator=(const Silence&) = delete;

private:
    int saved_, null_;
};

const fuzz::Defect mistaken_unit("mistaken_unit"), forgotten_option("forgotten_option");

void parse(const char* text, hak::Options& out) {
    hak::parse_options(text, out);
    if (mistaken_unit && out.tunables.purge_delay_ms != hak::Options{}.tunables.purge_delay_ms) out.tunables.purge_delay_ms *= 1000000;
}

std::string wrong_in(const hak::Options& options) {
    const hak::Options defaults;
    for (const hak::OptionRow& row : hak::kOptionRows) {
        const std::uint64_t value = row.get(options);
        if (value == row.get(defaults)) continue;
        if (value < row.least || value > row.most) return std::string(row.name) + " is out of its range: " + std::to_string(value);
    }
    return {};
}

std::string run(const std::string& input) {
    // An environment value ends at its first zero; the heap copy lets AddressSanitizer see a read behind it.
    const std::string text = input.c_str();
    char* const copy = static_cast<char*>(std::malloc(text.size() + 1));
    std::memcpy(copy, text.c_str(), text.size() + 1);
    hak::Options first, second;
    std::string again;
    {
        const Silence silence;
        parse(copy, first);
        // The mode is written first, so the others are written where they differ from what it sets.
        hak::Options by_mode;
        if (first.mode != by_mode.mode) hak::set_mode(by_mode, first.mode);
        for (const hak::OptionRow& row : hak::kOptionRows) {
            if (forgotten_option && row.kind == hak::OptionKind::bytes) continue;
            if (row.get(first) == row.get(row.kind == hak::OptionKind::mode ? hak::Options{} : by_mode)) continue;
            hak::Text value;
            hak::add_value(value, row.kind, row.get(first));
            again += std::string(row.name) + "=" + std::string(value.data(), value.size()) + ":";
        }
        parse(again.c_str(), second);
    }
    std::free(copy);
    if (std::string wrong = wrong_in(first); !wrong.empty()) return wrong;
    for (const hak::OptionRow& row : hak::kOptionRows) {
        if (row.get(first) != row.get(second)) return std::string(row.name) + " does not survive being written and read: " + again;
    }
    return {};
}

}  // namespace

FUZZ_TEXT("options", run)
