// harness.hpp: what every fuzz target has in common. A target defines fuzz::one() over bytes and, where its input is a history in a
// command language, fuzz::show() and fuzz::bytes_of_text(). libFuzzer calls LLVMFuzzerTestOneInput; driver.cpp replays files.
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

}  // namespace fuzz
