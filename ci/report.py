"""What ci/test found, for machines and pages: JUnit XML, and Markdown for GITHUB_STEP_SUMMARY."""

import os
import xml.etree.ElementTree as xml


def junit(outcomes, logs):
    """One document of all suites: what ctest wrote of its tests, and what else failed."""
    root = xml.Element("testsuites")
    for outcome in outcomes:
        try:
            suite = xml.parse(logs / f"{outcome.suite.name}.xml").getroot()
        except (OSError, xml.ParseError):  # no tests, or ctest did not reach its end
            suite = xml.Element("testsuite")
            for seconds, name in outcome.tests:
                xml.SubElement(suite, "testcase", name=name.split()[-1], time=f"{seconds:.2f}")
        known = {case.get("name"): case for case in suite.iter("testcase")}
        for failure in outcome.failures:
            case = known.get(failure.name)
            if case is None:
                case = xml.SubElement(suite, "testcase", name=failure.name)
            if case.find("failure") is None:
                xml.SubElement(case, "failure", message=failure.text)
        if outcome.suite.command and not outcome.failures:
            xml.SubElement(suite, "testcase", name=outcome.suite.name)
        cases = list(suite.iter("testcase"))
        for case in cases:
            case.set("classname", outcome.suite.name)
        suite.set("name", outcome.suite.name)
        suite.set("time", f"{outcome.seconds:.1f}")
        suite.set("tests", str(len(cases)))
        suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
        root.append(suite)
    return xml.tostring(root, encoding="unicode", xml_declaration=True)


def markdown(title, columns, rows, failures, last):
    """A table, what failed, and the verdict."""

    def cell(text):
        return str(text).replace("|", "\\|").replace("\n", " ")

    lines = [f"## {title}", "", "| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
    if failures:
        lines += ["", "### Failed", ""] + [f"- `{text}`" for text in failures]
    return "\n".join([*lines, "", f"**{last}**", ""]) + "\n"


def summarise(text):
    """To the page of the workflow's run, where this is one."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with open(path, "a", encoding="utf-8") as page:
            page.write(text)
