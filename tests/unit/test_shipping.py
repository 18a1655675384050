"""What a portable bundle takes along of the app and asks pip for."""

from ml import installed, module_closure


def test_the_modules_of_a_bundle_are_those_it_imports_and_no_page_is_among_them():
    found = module_closure.sources("ml.portable")
    assert {
        "ml/__init__.py",
        "ml/portable.py",
        "ml/prediction.py",
        "smartml/__init__.py",
        "smartml/errors.py",
    } <= set(found)
    assert {name.partition("/")[0] for name in found} == {"ml", "smartml"}
    # For type checkers, or of no use there.
    assert not {"ml/evaluation.py", "ml/training.py", "smartml/settings.py"} & set(found)


def test_only_the_libraries_of_the_models_that_are_there_are_asked_for():
    frozen = {"base": ["pandas==1", "autogluon-tabular==2"], "lightgbm": ["lightgbm==3"], "tabm": ["torch==4"]}
    base = ["autogluon-tabular==2", "pandas==1"]
    assert installed.needed(frozen, ["WeightedEnsemble_L2", "ExtraTrees_BAG_L1"]) == base
    assert installed.needed(frozen, ["LightGBMXT_BAG_L1"]) == [base[0], "lightgbm==3", base[1]]
    assert "torch==4" in installed.needed(frozen, ["SomethingNew"])


def test_what_is_installed_is_written_down_with_what_it_needs():
    frozen = installed.freeze()
    names = {part: {line.partition("==")[0] for line in lines} for part, lines in frozen.items()}
    assert {"autogluon-tabular", "autogluon-core", "pandas", "python-dateutil", "charset-normalizer"} <= names[
        "base"
    ]
    assert "torch" in names["tabm"]
    assert not [line for lines in frozen.values() for line in lines if "+" in line]
