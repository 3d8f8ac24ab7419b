// The contact's page: times count, the map is drawn; the button is a plain form.

import "./page.js";
import { positionMap } from "./map.js";

positionMap(document.getElementById("map"));
