"""The pages: what each state shows, what a form does, and when a page looks again by itself."""

import pytest
from starlette.testclient import TestClient

from fontanelle.errors import Code
from fontanelle.records import deliveries, intake
from fontanelle.records.intake import Refusal
from fontanelle.records.keys import Role
from tests.integration.api import house as houses
from tests.integration.api.house import House
from tests.integration.records import builders as rows

REFRESH = '<meta http-equiv="refresh"'


def reader(house: House, role: Role = Role.READ, name: str = "Dr Ada") -> TestClient:
    """Return a browser that is logged in."""
    client = house.client()
    client.post("/login", data={"key": house.key(role, name=name)})
    return client


def test_the_house_leads_to_its_analyses(house: House) -> None:
    answer = reader(house).get("/")

    assert (answer.status_code, answer.headers["location"]) == (303, "/analyses")


def test_the_list_shows_state_fitness_review_age_and_why(house: House) -> None:
    house.result(series=1)
    house.result(houses.withheld(), series=2)
    house.fail(series=3)
    client = reader(house)

    page = client.get("/analyses").text

    for said in ("limited", "withheld", "failed", "unreviewed", "723 days", "4711", "A1"):
        assert said in page
    assert "An error of ours; the log says where." in page and "analysis.internal" in page
    assert REFRESH not in page
    assert 'href="/analyses/3"' in client.get("/analyses?state=failed").text
    assert 'href="/analyses/1"' not in client.get("/analyses?state=failed").text


def test_older_analyses_are_reached_by_a_link(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.web.pages.PAGE_LENGTH", 2)
    for number in range(1, 6):
        house.result(series=number)
    client = reader(house)

    seen: list[int] = []
    path: str | None = "/analyses?state=succeeded"
    while path:
        page = client.get(path).text
        seen += [n for n in range(5, 0, -1) if f'href="/analyses/{n}"' in page]
        path = (
            page.split('<p><a href="')[1].split('"')[0].replace("&amp;", "&")
            if "Older" in page
            else None
        )
    assert seen == [5, 4, 3, 2, 1]


@pytest.mark.parametrize(
    ("state", "title"), [("queued", "Waiting for a worker"), ("running", "Being measured")]
)
def test_while_something_is_under_way_the_page_looks_again(
    house: House, state: str, title: str
) -> None:
    match state:
        case "queued":
            analysis = rows.queued(house.records)
        case _:
            analysis = rows.running(house.records).lease.analysis_id
    client = reader(house)

    page = client.get(f"/analyses/{analysis}").text

    assert title in page and "Nothing is measured yet." in page and REFRESH in page
    assert REFRESH in client.get("/analyses").text
    assert "<svg" not in page and "Regions</h2>" not in page


@pytest.mark.parametrize(
    ("result", "title"),
    [
        ("limited", "Limited result"),
        ("outside", "Outside the intended use"),
        ("withheld", "Result withheld"),
        ("rejected", "Not measured"),
    ],
)
def test_how_it_ended_is_said_plainly(house: House, result: str, title: str) -> None:
    analysis = house.result(getattr(houses, result)())

    page = reader(house).get(f"/analyses/{analysis}").text

    assert title in page and REFRESH not in page
    measured = result in {"limited", "outside"}
    assert ("Left frontal lobe" in page) is measured
    assert (f'src="/api/v1/analyses/{analysis}/overlay.png"' in page) is measured


def test_a_failed_analysis_says_whose_fault_it_is_and_can_be_tried_again(house: House) -> None:
    analysis = house.fail()
    client = reader(house, Role.REVIEW)

    page = client.get(f"/analyses/{analysis}").text
    assert "The analysis failed" in page and "not of the scan" in page
    answer = client.post(f"/analyses/{analysis}/retry")

    assert (answer.status_code, answer.headers["location"]) == (303, f"/analyses/{analysis}")
    assert "Waiting for a worker" in client.get(f"/analyses/{analysis}").text
    client.post(f"/analyses/{analysis}/cancel")
    assert "Cancelled" in client.get(f"/analyses/{analysis}").text


def test_a_review_by_the_form_is_signed_and_shown(house: House) -> None:
    analysis = house.result(plans=(rows.AFTER_REVIEW,))
    client = reader(house, Role.REVIEW, "Dr Ada")
    page = client.get(f"/analyses/{analysis}").text
    assert "PRELIMINARY" in page and f'action="/analyses/{analysis}/review"' in page

    answer = client.post(
        f"/analyses/{analysis}/review", data={"verdict": "accepted", "comment": "Checked."}
    )

    assert (answer.status_code, answer.headers["location"]) == (303, f"/analyses/{analysis}")
    page = client.get(f"/analyses/{analysis}").text
    assert "Accepted by a reader" in page and "“Checked.”" in page and "PRELIMINARY" not in page


@pytest.mark.parametrize(
    ("normal", "kept", "said"),
    [
        ("yes", True, "Said to be a normal head."),
        ("no", False, "Said not to be a normal head."),
        ("", None, None),
    ],
)
def test_the_form_asks_whether_the_head_is_normal_and_the_page_says_it(
    house: House, normal: str, kept: bool | None, said: str | None
) -> None:
    analysis = house.result()
    client = reader(house, Role.REVIEW, "Dr Ada")
    page = client.get(f"/analyses/{analysis}").text
    assert 'for="normal"' in page and '<select id="normal" name="normal"' in page

    client.post(f"/analyses/{analysis}/review", data={"verdict": "accepted", "normal": normal})

    assert client.get(f"/api/v1/analyses/{analysis}").json()["review"]["normal"] is kept
    page = client.get(f"/analyses/{analysis}").text
    assert ("normal head." in page) is (said is not None) and (said or "") in page


def test_who_reviews_again_is_told_that_silence_takes_the_mark_away(house: House) -> None:
    analysis = house.result()
    client = reader(house, Role.REVIEW)
    path, told = f"/analyses/{analysis}", "if you do not say it again, the mark is gone"
    assert told not in client.get(path).text

    client.post(f"{path}/review", data={"verdict": "accepted", "normal": "yes"})
    assert told in client.get(path).text
    client.post(f"{path}/review", data={"verdict": "accepted"})

    assert told not in client.get(path).text


def test_a_form_with_another_mark_changes_nothing(house: House) -> None:
    analysis = house.result()
    client = reader(house, Role.REVIEW)

    form = {"verdict": "accepted", "normal": "perhaps"}
    assert client.post(f"/analyses/{analysis}/review", data=form).status_code == 422

    assert "PRELIMINARY" in client.get(f"/analyses/{analysis}").text


@pytest.mark.parametrize("verdict", ["unreviewed", "maybe", ""])
def test_a_form_with_a_word_that_is_none_changes_nothing(house: House, verdict: str) -> None:
    analysis = house.result()
    client = reader(house, Role.REVIEW)

    answer = client.post(f"/analyses/{analysis}/review", data={"verdict": verdict})

    assert answer.status_code == 422
    assert "PRELIMINARY" in client.get(f"/analyses/{analysis}").text


def test_whoever_only_reads_is_shown_no_form_that_would_be_refused(house: House) -> None:
    analysis, failed = house.result(series=1), house.fail(series=2)
    client = reader(house)

    pages = [client.get(f"/analyses/{each}").text for each in (analysis, failed)]
    pages.append(client.get("/deliveries").text)

    for page in pages:
        forms = [line for line in page.splitlines() if "<form" in line]
        assert all("/logout" in form for form in forms)


def test_a_superseded_report_leads_to_its_successor(house: House) -> None:
    first = house.result()
    series = rows.series_id(house.records)
    work = rows.claim(house.records, rows.queue(house.records, series, tools=rows.OTHER_TOOLS))
    second = house.finish(work)

    page = reader(house, Role.REVIEW).get(f"/analyses/{first}").text

    assert "Superseded" in page and f'<a href="/analyses/{second}">Analysis {second}</a>' in page
    assert "Your word on this result" not in page


def test_a_patient_in_doubt_is_said_on_the_report(house: House) -> None:
    analysis = house.result()
    with house.records.begin() as session:
        intake.add_conflict(session, rows.conflict(10, Code.PATIENT_CORRECTION))

    page = reader(house).get(f"/analyses/{analysis}").text

    assert "The patient of this study is in doubt" in page
    assert page.index("in doubt") < page.index("Left frontal lobe")


def test_what_came_in_and_who_was_refused_stand_on_one_page(house: House) -> None:
    analysis = house.result()
    rows.arrive(house.records, 901, series=9, study=1)
    rows.close(house.records)
    rows.decide(house.records, 1, study=1)
    with house.records.begin() as session:
        intake.add_conflict(session, rows.conflict(10, Code.INSTANCE_CONFLICT))
        sentence = "The calling AE title STRANGER is not a known source."
        intake.add_refusals(
            session,
            [Refusal("STRANGER", "FONTANELLE", "10.0.0.7", Code.ASSOCIATION_CALLING, sentence, 3)],
        )

    page = reader(house).get("/series").text

    for said in ("SCANNER", "not selected", "selected", "Series 2 has thinner slices.", "STRANGER"):
        assert said in page
    assert "selection.better_series" in page and "1 in conflict:" in page
    assert f'href="/analyses/{analysis}"' in page and sentence in page


def test_what_is_not_delivered_is_listed_and_sent_by_a_button(house: House) -> None:
    house.result(plans=(rows.AFTER_REVIEW,))
    client = reader(house, Role.REVIEW)
    page = client.get("/deliveries").text
    assert "archive" in page and "delivery.awaiting_review" in page
    with house.records.begin() as session:
        (held,) = deliveries.undelivered(session)

    answer = client.post(f"/deliveries/{held.delivery_id}/resend")

    assert answer.headers["location"] == f"/analyses/{held.analysis_id}"
    with house.records.begin() as session:
        assert deliveries.get(session, held.delivery_id).state == "due"


def test_a_patient_is_found_by_a_form_and_stands_in_no_address(house: House) -> None:
    house.result()
    client = reader(house)

    for by, value in (
        ("patient_id", "4711"),
        ("accession_number", "A1"),
        ("study_instance_uid", rows.study_uid(1)),
    ):
        answer = client.post("/analyses/search", data={"by": by, "value": value})
        assert answer.status_code == 200 and 'href="/analyses/1"' in answer.text
    nobody = client.post("/analyses/search", data={"by": "patient_id", "value": "none"})
    assert "Nothing was found." in nobody.text


@pytest.mark.parametrize(
    ("by", "value"), [("name", "ZZCANARY"), ("study_instance_uid", "ZZCANARY"), ("patient_id", " ")]
)
def test_a_search_that_makes_no_sense_is_told_so_without_its_value(
    house: House, by: str, value: str
) -> None:
    answer = reader(house).post("/analyses/search", data={"by": by, "value": value})

    assert answer.status_code == 422 and "ZZCANARY" not in answer.text


def test_an_accession_number_of_two_studies_is_shown_as_a_problem(house: House) -> None:
    for number in (1, 2):
        rows.arrive(house.records, number, series=number, study=number, accession_number="SAME")

    answer = reader(house).post(
        "/analyses/search", data={"by": "accession_number", "value": "SAME"}
    )

    assert answer.status_code == 409 and "http.ambiguous" in answer.text


def test_an_empty_house_says_so(house: House) -> None:
    client = reader(house)

    assert "There is no analysis yet." in client.get("/analyses").text
    assert "Nothing came in yet." in client.get("/series").text
    assert "has been acknowledged" in client.get("/deliveries").text
