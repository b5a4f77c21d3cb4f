"""Draws docs/images/airflow-*.png: real runs on a real Airflow, seen in headless Chromium.

    .venv/bin/python scripts/screenshots.py [NAME...]

Needs Chromium and its driver: scripts/browser installs them. Takes some minutes.
"""
