# SPDX-License-Identifier: GPL-2.0-only
"""What is built once and cached: kernels, images, tools."""
