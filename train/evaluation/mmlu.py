"""MMLU's 57 subjects, named as in the data and the harness, and one score over all their questions."""

from collections.abc import Mapping

_NAMES = """
abstract_algebra anatomy astronomy business_ethics clinical_knowledge college_biology college_chemistry
college_computer_science college_mathematics college_medicine college_physics computer_security
conceptual_physics econometrics electrical_engineering elementary_mathematics formal_logic global_facts
high_school_biology high_school_chemistry high_school_computer_science high_school_european_history
high_school_geography high_school_government_and_politics high_school_macroeconomics high_school_mathematics
high_school_microeconomics high_school_physics high_school_psychology high_school_statistics
high_school_us_history high_school_world_history human_aging human_sexuality international_law jurisprudence
logical_fallacies machine_learning management marketing medical_genetics miscellaneous moral_disputes
moral_scenarios nutrition philosophy prehistory professional_accounting professional_law
professional_medicine professional_psychology public_relations security_studies sociology us_foreign_policy
virology world_religions
"""
SUBJECTS = tuple(_NAMES.split())


def over_all_questions(results: Mapping[str | None, dict]) -> dict:
    """One result over all subjects: every question has equal weight, as in the benchmark's own code."""
    documents = sum(result["documents"] for result in results.values())
    score = sum(result["score"] * result["documents"] for result in results.values()) / documents
    return {
        "score": score,
        "metric": next(iter(results.values()))["metric"],
        "documents": documents,
        "subjects": {subject: result["score"] for subject, result in results.items()},
    }
