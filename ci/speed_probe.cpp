// speed_probe.cpp: ci/test compiles this before each suite to see how fast the machine is just then
// (ci/suites.py). A change here needs a new figure there.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

std::map<std::string, std::vector<std::string>> by_first_word(
    const std::vector<std::string>& lines) {
    std::map<std::string, std::vector<std::string>> groups;
    for (const std::string& line : lines) groups[line.substr(0, line.find(' '))].push_back(line);
    for (auto& [word, group] : groups) {
        std::sort(group.begin(), group.end());
        group.erase(std::unique(group.begin(), group.end()), group.end());
    }
    return groups;
}
