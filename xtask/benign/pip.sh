# A Python package: an environment, wheels, one requirement compiled from its source, an editable install, and tests.
needs="python3 cc"
prepare() {
    mkdir -p src/benign tests
    cat >pyproject.toml <<'END'
[build-system]
requires = ["setuptools==80.9.0"]
build-backend = "setuptools.build_meta"

[project]
name = "benign"
version = "0.1.0"
dependencies = ["jinja2==3.1.6", "requests==2.32.4"]
END
    echo 'import jinja2

def greet(name):
    return jinja2.Template("hello {{ name }}").render(name=name)' >src/benign/__init__.py
    echo 'from benign import greet

def test_greet():
    assert greet("build") == "hello build"' >tests/test_greet.py
    printf 'venv\n*.egg-info\n__pycache__\n.pytest_cache\n' >.gitignore
}
build() {
    python3 -m venv venv
    venv/bin/pip install --quiet --no-binary markupsafe markupsafe==3.0.2
    venv/bin/pip install --quiet --editable . pytest==8.4.1 mypy==1.16.1
    venv/bin/python -m pytest -q
    venv/bin/mypy --ignore-missing-imports src
}
