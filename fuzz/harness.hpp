// harness.hpp: what every fuzz target has in common. A target defines these functions, mostly through history.hpp. libFuzzer reaches
// them through entry.cpp; driver.cpp replays files.
#pragma once

#include <cstdint>
#include <string>

namespace fuzz {

// What is wrong with this input; empty if nothing is.
std::string one(const std::uint8_t* data, std::size_t size);
// The input as text for people, shrunk as far as it still fails.
std::string show(const std::uint8_t* data, std::size_t size);
// The inverse: bytes that mean what the text says.
std::string bytes_of_text(const std::string& text);
// Runs a text; more exact than its bytes, because not every value has an encoding.
std::string one_text(const std::string& text);
// An input like this one, made by a change that its structure suggests, of `most` bytes at most; the same seed makes the same change.
// Empty where the bytes have no structure.
std::string mutate(const std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed);

}  // namespace fuzz
