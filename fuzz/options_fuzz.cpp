// options_fuzz.cpp: bytes are a value of HAKMEM_OPTIONS. Whatever they are, the parser stays inside them, what it sets lies in the
// option's range, it complains or stays silent, and what it prints for a setting it reads back as the same setting.
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "api/options.hpp"
#include "fuzz/harness.hpp"

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

std::string wrong_in(const hak::Options& options) {
    const hak::Options defaults;
    for (const hak::OptionRow& row : hak::kOptionRows) {
        const std::uint64_t value = row.get(options);
        if (value == row.get(defaults)) continue;
        if (value < row.least || value > row.most) return std::string(row.name) + " is out of its range: " + std::to_string(value);
    }
    return {};
}

}  // namespace

std::string fuzz::one(const std::uint8_t* data, std::size_t size) {
    // An environment value ends at its first zero; the heap copy lets AddressSanitizer see a read behind it.
    std::string text(reinterpret_cast<const char*>(data), size);
    text.resize(std::strlen(text.c_str()));
    char* const copy = static_cast<char*>(std::malloc(text.size() + 1));
    std::memcpy(copy, text.c_str(), text.size() + 1);
    hak::Options first, second;
    std::string again;
    {
        const Silence silence;
        hak::parse_options(copy, first);
        for (const hak::OptionRow& row : hak::kOptionRows) {
            if (row.get(first) == row.get(hak::Options{})) continue;
            hak::Text value;
            hak::add_value(value, row.kind, row.get(first));
            again += std::string(row.name) + "=" + std::string(value.data(), value.size()) + ":";
        }
        hak::parse_options(again.c_str(), second);
    }
    std::free(copy);
    if (std::string wrong = wrong_in(first); !wrong.empty()) return wrong;
    for (const hak::OptionRow& row : hak::kOptionRows) {
        if (row.get(first) != row.get(second)) return std::string(row.name) + " does not survive being written and read: " + again;
    }
    return {};
}

std::string fuzz::show(const std::uint8_t* data, std::size_t size) { return {reinterpret_cast<const char*>(data), size}; }
std::string fuzz::bytes_of_text(const std::string& text) { return text; }
std::string fuzz::one_text(const std::string& text) { return one(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()); }
std::string fuzz::mutate(const std::uint8_t*, std::size_t, std::size_t, unsigned) { return {}; }
