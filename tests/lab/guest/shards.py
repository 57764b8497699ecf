"""What several guests' test runs came to together."""

import xml.etree.ElementTree as ElementTree


def conclude(folders, codes, junitxml, ring):
    """Adds up the runs' results, a junit.xml in each folder, and prints the sum; 0 only if every run ended and every test passed."""
    suites = ElementTree.Element("testsuites")
    counts = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for number, (folder, code) in enumerate(zip(folders, codes), 1):
        try:
            suite = ElementTree.parse(folder / "junit.xml").getroot().find("testsuite")
        except (FileNotFoundError, ElementTree.ParseError):
            print(f"{ring}: guest {number} ended with {code} and left no results")
            suite = ElementTree.Element("testsuite", name=ring, tests="1", failures="1", errors="0", skipped="0")
            case = ElementTree.SubElement(suite, "testcase", classname=ring, name=f"guest {number} runs its tests to the end")
            ElementTree.SubElement(case, "failure", message=f"exit code {code} and no results")
        suites.append(suite)
        for key in counts:
            counts[key] += int(suite.get(key))
    if junitxml:
        ElementTree.ElementTree(suites).write(junitxml, encoding="unicode", xml_declaration=True)
    failed = counts["failures"] + counts["errors"] + counts["skipped"]
    print(f"{ring}: {counts['tests'] - failed} passed, {failed} failed")
    return 0 if failed == 0 and counts["tests"] > 0 else 1
