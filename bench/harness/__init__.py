# SPDX-License-Identifier: MIT
"""The bench harness; bench/README.md says what it promises."""
