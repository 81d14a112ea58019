"""What events of the provider do, one file for each kind of object. An event is only a hint where to look: what it says is fetched."""
