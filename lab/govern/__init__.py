# SPDX-License-Identifier: GPL-2.0-only
"""How many vCPUs a guest should use: by the steal it sees, or by what its host sees. Pure."""
