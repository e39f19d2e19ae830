from typing import Any, Dict

TABLE: Dict[str, Any] = {}
