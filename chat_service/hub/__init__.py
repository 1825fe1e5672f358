"""Who is connected to this node, and how what happened reaches them."""
